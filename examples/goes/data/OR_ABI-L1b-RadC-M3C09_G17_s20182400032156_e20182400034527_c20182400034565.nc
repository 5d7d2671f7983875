‰HDF

ABI channel 09, a few bytes in place of 5 MB
