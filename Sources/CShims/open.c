#include "CShims.h"

#include <fcntl.h>

int dmq_open(const char *path, int flags, unsigned mode) { return open(path, flags, mode); }
