‰HDF

ABI channel 02, a few bytes in place of 5 MB
