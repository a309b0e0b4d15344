"""A C extension module that shares a limiter with Python: `mailgate.c`, how it is built, a short run."""
