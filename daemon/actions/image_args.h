/* SPDX-License-Identifier: Apache-2.0
 *
 * The arguments by which a recipe says more of a firmware file than its content does: what it is
 * declared to be, and which part of a file for several targets, or member of an archive, is meant. One set for all actions
 * that write an image; all of them pass the same gate (transports/images/gate.h).
 */
#pragma once

#include "daemon/recipe/action.h"
#include "transports/images/blob.h"
#include "transports/images/foreign.h"
#include "transports/images/image.h"

extern const char *const image_formats[];
extern const char *const image_overlaps[];
extern const char *const blob_formats[];

/* For images with addresses. */
#define ARG_ROWS_FORMAT                                                                            \
	{.name = "format",                                                                         \
		.type = ARG_CHOICE,                                                                \
		.def = "auto",                                                                     \
		.choices = image_formats,                                                          \
		.doc = "auto: by content, which has to agree with the file's name; any other "     \
		       "declares it, on record: 'bin' writes the bytes as they are, also of "      \
		       "what looks like no firmware (not of a format with addresses), 'elf' "      \
		       "takes one with the marks of an operating system"},                         \
		{.name = "family",                                                                 \
			.type = ARG_INT,                                                           \
			.low = 0,                                                                  \
			.high = UINT32_MAX,                                                        \
			.doc = "of a UF2 file for several: 0xe48bff59"},                           \
		{.name = "board",                                                                  \
			.type = ARG_INT,                                                           \
			.low = 0,                                                                  \
			.high = UINT16_MAX,                                                        \
			.doc = "of a universal HEX file for several: 0x9903"},                     \
		{.name = "member",                                                                 \
			.type = ARG_STRING,                                                        \
			.doc = "of a tar or zip archive with several files; gzip, xz, zstd and "   \
			       "bzip2 are unpacked by themselves, unless 'format' is bin"},        \
	{                                                                                          \
		.name = "overlap", .type = ARG_CHOICE, .def = "refuse", .choices = image_overlaps, \
		.doc = "a file with different bytes for one address: last keeps the later ones"    \
	}

/* Of those rows into o. */
void image_args_take(const struct args *a, struct image_opts *o);

/* Whether the recipe says 'format: bin', with the evidence for it. b may be NULL. */
bool image_args_declared(const struct args *a, const char *name, const struct blob *b,
	enum foreign_use use, struct step_result *out);

/* For bytes that go into a partition. */
#define ARG_ROW_BLOB_FORMAT                                                                   \
	{                                                                                     \
		.name = "format", .type = ARG_CHOICE, .def = "auto", .choices = blob_formats, \
		.doc = "auto: what is surely no image, by content or by name, is refused; "   \
		       "bin: the bytes as they are, on record"                                \
	}

#define ARG_ROW_PACKAGE_FORMAT                                                                \
	{                                                                                     \
		.name = "format", .type = ARG_CHOICE, .def = "auto", .choices = blob_formats, \
		.doc = "auto: a zip archive whose members are all whole; bin: the bytes as "  \
		       "they are, on record"                                                  \
	}

/* A partition may hold compressed bytes as they are: what is packed is unpacked where the recipe says so. */
#define ARG_ROWS_UNPACK                                                            \
	{.name = "unpack",                                                         \
		.type = ARG_BOOL,                                                  \
		.def = "false",                                                    \
		.doc = "write what is in it: gzip, xz, zstd, bzip2, tar or zip"},  \
	{                                                                          \
		.name = "member", .type = ARG_STRING,                              \
		.doc = "with 'unpack': of a tar or zip archive with several files" \
	}

/* The bytes that are meant, with those rows. Unref it. */
int blob_args_load(
	struct step *s, const struct args *a, const char *ref, struct blob **ret, struct err *e);

/* The gate for those, before the unit is touched; ref: what the recipe gives, whose name counts.
 * What the gate had to say where the recipe overrides it is evidence ("declared", "overruled"). */
int blob_args_check(struct step *s, const struct args *a, const char *ref, const struct blob *b,
	struct step_result *out, struct err *e);
/* Of a package that the unit unpacks by itself: a zip archive whose members are whole. */
int package_args_check(struct step *s, const struct args *a, const char *ref, struct blob *b,
	struct step_result *out, struct err *e);
