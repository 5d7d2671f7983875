‰HDF

ABI channel 16, a few bytes in place of 5 MB
