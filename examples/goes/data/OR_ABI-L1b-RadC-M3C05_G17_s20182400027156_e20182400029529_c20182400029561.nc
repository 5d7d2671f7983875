‰HDF

ABI channel 05, a few bytes in place of 5 MB
