‰HDF

ABI channel 07, a few bytes in place of 5 MB
