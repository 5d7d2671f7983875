‰HDF

ABI channel 14, a few bytes in place of 5 MB
