/* SPDX-License-Identifier: Apache-2.0
 *
 * ConformanceService over protobuf-c.
 */
#include "connectrpc/conformance/v1/service.rpc.pb-c.h"

#define MESSAGE(name) Connectrpc__Conformance__V1__##name

#include "tests/conformance/service.inc"
