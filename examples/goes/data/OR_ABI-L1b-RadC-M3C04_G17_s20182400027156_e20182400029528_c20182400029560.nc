‰HDF

ABI channel 04, a few bytes in place of 5 MB
