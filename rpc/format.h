/* SPDX-License-Identifier: Apache-2.0
 *
 * printf's small sister, the same natively and in WebAssembly, independent of
 * the locale: %s %.*s %.Ns %c %d %i %u %x %ld %lu %lld %llu %zu %zd %lx %llx %g %%
 * with an optional 0 flag and width.
 */
#ifndef TESSERA_RPC_FORMAT_H
#define TESSERA_RPC_FORMAT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Writes at most size bytes, NUL included (size 0: nothing), and returns the
 * length that the whole text has. */
size_t tess__vformat(char *buffer, size_t size, const char *format, va_list args);
size_t tess__format(char *buffer, size_t size, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Room for any 64-bit integer and its NUL. */
#define TESS__DECIMAL_BYTES 21
/* Writes value in decimal with a NUL and returns its length. */
size_t tess__format_u64(char *buffer, uint64_t value);

#endif
