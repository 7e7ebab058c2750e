#include "CShims.h"

#include <sys/syscall.h>
#include <unistd.h>

int dmq_enable_ring(int descriptor) {
    enum { register_enable_rings = 12 };
    return (int)syscall(SYS_io_uring_register, descriptor, register_enable_rings, (void *)0, 0);
}
