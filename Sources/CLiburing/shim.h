// liburing.h defines _GNU_SOURCE by itself, which changes what <features.h> decides and, in debug builds,
// makes the Glibc module be built twice in two shapes. Letting <features.h> decide first avoids that.
#pragma once
#include <features.h>
#include <liburing.h>
