/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESSERA_PROGRAM_DESCRIPTORS_H
#define TESSERA_PROGRAM_DESCRIPTORS_H

/* Call first in main(). A program may be started with its standard descriptors closed; the
 * files and sockets that it opens would get their numbers, and what it prints. Afterwards
 * none of the three is free; writing to what was closed fails as before. */
void program_descriptors_keep(void);

#endif
