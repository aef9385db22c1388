/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 */
#ifndef TESSERA_RPC_UTF8_H
#define TESSERA_RPC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool tess__utf8_valid(const uint8_t *text, size_t size);

#endif
