‰HDF

ABI channel 12, a few bytes in place of 5 MB
