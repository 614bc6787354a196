/* SPDX-License-Identifier: Apache-2.0
 *
 * What foreign programs of this line may not see: the state directory except the artifacts, secret
 * files, the credentials of the service (base/sandbox.h). A recipe is written by an engineer, and
 * runs any program: it must not get at tokens, keys and records.
 */
#pragma once

#include "daemon/line/config.h"

struct confine;

struct confine *confine_new(void);
/* After the last program has ended. */
struct confine *confine_free(struct confine *c);
/* From now on, for every program; again after a reload. main. */
void confine_apply(struct confine *c, const struct config *config, const char *artifact_dir);
