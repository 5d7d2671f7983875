‰HDF

ABI channel 15, a few bytes in place of 5 MB
