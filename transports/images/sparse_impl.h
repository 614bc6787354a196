/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of the sparse format (libsparse, sparse_format.h), shared by sparse.c (reading) and
 * sparse_split.c (writing).
 */
#pragma once

#include "transports/images/sparse.h"

#define SPARSE_MAGIC	    0xed26ff3au
#define SPARSE_HEADER_BYTES 28
#define SPARSE_CHUNK_BYTES  12
#define SPARSE_TYPE_RAW	    0xcac1
#define SPARSE_TYPE_FILL    0xcac2
#define SPARSE_TYPE_SKIP    0xcac3
#define SPARSE_TYPE_CRC	    0xcac4
/* Of one raw chunk: its 32-bit size counts the header too. */
#define SPARSE_RAW_MAX_BYTES (UINT32_MAX - 65535u)
