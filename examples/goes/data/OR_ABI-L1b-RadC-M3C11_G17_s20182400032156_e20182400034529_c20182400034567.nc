‰HDF

ABI channel 11, a few bytes in place of 5 MB
