‰HDF

ABI channel 10, a few bytes in place of 5 MB
