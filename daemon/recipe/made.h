/* SPDX-License-Identifier: Apache-2.0
 *
 * The images that steps of one run made for its unit (image.compose): a later step of the run refers to one by the output of
 * the step that made it, where it would refer to an artifact. They are in memory alone, no other run sees them, and they
 * are overwritten when the run ends. Owned by the environment of a run (a station's, a bench's); its thread alone.
 */
#pragma once

#include "base/secret.h"
#include "daemon/recipe/env.h"
#include "transports/images/blob.h"
#include "transports/images/image.h"

struct made;

/* secrets, which outlive it: the digests of an image with a secret in it become secrets of the run, since a short secret
 * can be found out from one. */
struct made *made_new(struct secret_set *secrets);
struct made *made_free(struct made *m); /* takes NULL */
DEFINE_CLEANUP(struct made, made_free)

/* Takes a reference of b's. name: what its content is called, "ID.bin". Another attempt of the same step replaces what it
 * made before. ret: how later steps refer to it. */
int made_put(struct made *m, const char *step, const char *name, struct blob *b, bool secret,
	char ret[STEP_NAME_BYTES], struct err *e);

/* Whether that is a reference to such an image; it may be gone. */
bool made_is(const char *ref);
/* As the ops of an environment of the same names; m may be NULL. -ERR_NOT_FOUND where the run has not made it. */
int made_name(const struct made *m, const char *ref, char ret[STEP_NAME_BYTES], struct err *e);
int made_load_image(const struct made *m, const char *ref, const struct image_opts *o,
	struct image **ret, struct err *e);
int made_load_blob(const struct made *m, const char *ref, struct blob **ret, struct err *e);
int made_load_unpacked(const struct made *m, const char *ref, const char *member,
	const struct iotime *it, struct blob **ret, struct err *e);
/* It has no path: -ERR_UNSUPPORTED. */
int made_path(const struct made *m, const char *ref, struct err *e);
