# Parts of numba below its public face.
