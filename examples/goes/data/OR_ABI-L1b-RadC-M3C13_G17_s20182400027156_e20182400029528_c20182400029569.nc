‰HDF

ABI channel 13, a few bytes in place of 5 MB
