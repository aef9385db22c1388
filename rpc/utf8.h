/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 */
#ifndef TESSERA_RPC_UTF8_H
#define TESSERA_RPC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool tess__utf8_valid(const void *data, size_t size);
/* Length of the valid sequence that starts at data (size > 0); 0: none does. */
size_t tess__utf8_sequence(const void *data, size_t size);

#endif
