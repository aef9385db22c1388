/* SPDX-License-Identifier: Apache-2.0
 *
 * Version of the installed API (https://semver.org/).
 */
#ifndef TESSERA_VERSION_H
#define TESSERA_VERSION_H

#define TESS_VERSION_MAJOR 0
#define TESS_VERSION_MINOR 1
#define TESS_VERSION_PATCH 0
#define TESS_VERSION "0.1.0"

#endif
