/* SPDX-License-Identifier: Apache-2.0
 *
 * A PKCS#11 module that can be pulled: SoftHSM2 (or what PROVSIM_TOKEN_MODULE names) with a switch.
 * The file that PROVSIM_TOKEN_SWITCH names says in one word what it does now:
 *
 *	(no file)  as the module
 *	gone       no token in the slot: every call that needs one gives CKR_DEVICE_REMOVED, and what was
 *		   open before is void once it is back
 *	locked     a login gives CKR_PIN_LOCKED
 *	hang       a signature never comes back
 *	crash      a signature ends the process by SIGSEGV
 *	crash-open a look at the token does
 *
 * The file that PROVSIM_TOKEN_TRIES names is its counter of the PIN, as a real token has one that outlives a
 * pull: "LEFT TRIED", the tries that are left (3 at first, and after the right PIN) and how many came in
 * all. It shows in the token's flags (COUNT_LOW, FINAL_TRY, LOCKED), and locks. Without it there is none.
 *
 * PROVSIM_TOKEN_ROOM is how many private keys it has room for; the next one is CKR_DEVICE_MEMORY.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"

static CK_FUNCTION_LIST *inner;
static CK_FUNCTION_LIST outer;
static bool was_gone;

static bool is(const char *word)
{
	const char *path = getenv("PROVSIM_TOKEN_SWITCH");
	FILE *f = path ? fopen(path, "re") : NULL;
	char got[16] = "";

	if (!f)
		return false;
	if (!fgets(got, sizeof got, f))
		got[0] = '\0';
	fclose(f);
	got[strcspn(got, "\n")] = '\0';
	return !strcmp(got, word);
}

/* A pull closes every session, as the reader's driver does. */
static bool is_gone(void)
{
	bool gone = is("gone");

	if (gone && !was_gone) {
		CK_SLOT_ID slots[16];
		CK_ULONG n = 16;

		if (inner->C_GetSlotList(CK_TRUE, slots, &n) == CKR_OK)
			for (CK_ULONG i = 0; i < n; i++)
				inner->C_CloseAllSessions(slots[i]);
	}
	was_gone = gone;
	return gone;
}

/* --- the counter of the PIN --- */

#define TRIES 3

struct tries {
	unsigned left, tried;
};

static bool read_tries(struct tries *ret)
{
	const char *path = getenv("PROVSIM_TOKEN_TRIES");
	FILE *f = path ? fopen(path, "re") : NULL;

	*ret = (struct tries){TRIES, 0};
	if (f) {
		if (fscanf(f, "%u %u", &ret->left, &ret->tried) != 2)
			*ret = (struct tries){TRIES, 0};
		fclose(f);
	}
	return path;
}

static void write_tries(const struct tries *t)
{
	FILE *f = fopen(getenv("PROVSIM_TOKEN_TRIES"), "we");

	if (!f)
		return;
	fprintf(f, "%u %u\n", t->left, t->tried);
	fclose(f);
}

static CK_FLAGS tries_flags(void)
{
	struct tries t;

	if (!read_tries(&t) || t.left == TRIES)
		return 0;
	return CKF_USER_PIN_COUNT_LOW | (t.left == 1 ? CKF_USER_PIN_FINAL_TRY : 0) |
	       (t.left == 0 ? CKF_USER_PIN_LOCKED : 0);
}

static CK_RV counted_login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n)
{
	struct tries t;
	CK_RV rv;

	if (!read_tries(&t))
		return inner->C_Login(s, user, pin, n);
	t.tried++;
	rv = t.left == 0 ? CKR_PIN_LOCKED : inner->C_Login(s, user, pin, n);
	if (rv == CKR_PIN_INCORRECT)
		t.left--;
	else if (rv == CKR_OK)
		t.left = TRIES;
	write_tries(&t);
	return rv;
}

/* --- what p11-kit calls --- */

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *n)
{
	if (!is_gone())
		return inner->C_GetSlotList(present, list, n);
	if (present) {
		*n = 0;
		return CKR_OK;
	}
	return inner->C_GetSlotList(present, list, n);
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
	CK_RV rv = inner->C_GetSlotInfo(slot, info);

	if (rv == CKR_OK && is_gone())
		info->flags &= ~(CK_FLAGS)CKF_TOKEN_PRESENT;
	return rv;
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv;

	if (is("crash-open"))
		raise(SIGSEGV);
	rv = is_gone() ? CKR_TOKEN_NOT_PRESENT : inner->C_GetTokenInfo(slot, info);
	if (rv == CKR_OK)
		info->flags |= tries_flags();
	return rv;
}

static CK_RV open_session(
	CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *ret)
{
	return is_gone() ? CKR_TOKEN_NOT_PRESENT
			 : inner->C_OpenSession(slot, flags, app, notify, ret);
}

static CK_RV login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n)
{
	if (is_gone())
		return CKR_DEVICE_REMOVED;
	return is("locked") ? CKR_PIN_LOCKED : counted_login(s, user, pin, n);
}

static CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	return is_gone() ? CKR_DEVICE_REMOVED : inner->C_SignInit(s, m, key);
}

static CK_RV sign(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *ret_n)
{
	while (is("hang"))
		usleep(10000);
	if (is("crash"))
		raise(SIGSEGV);
	return is_gone() ? CKR_DEVICE_REMOVED : inner->C_Sign(s, in, n, out, ret_n);
}

static CK_ULONG private_keys(CK_SESSION_HANDLE s)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE want = {CKA_CLASS, &class, sizeof class};
	CK_OBJECT_HANDLE found[64];
	CK_ULONG n = 0;

	if (inner->C_FindObjectsInit(s, &want, 1) == CKR_OK) {
		inner->C_FindObjects(s, found, 64, &n);
		inner->C_FindObjectsFinal(s);
	}
	return n;
}

static CK_RV generate_key_pair(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *public,
	CK_ULONG publics, CK_ATTRIBUTE *private, CK_ULONG privates, CK_OBJECT_HANDLE *ret_public,
	CK_OBJECT_HANDLE *ret_private)
{
	const char *room = getenv("PROVSIM_TOKEN_ROOM");

	if (is_gone())
		return CKR_DEVICE_REMOVED;
	if (room && private_keys(s) >= strtoul(room, NULL, 10))
		return CKR_DEVICE_MEMORY;
	return inner->C_GenerateKeyPair(
		s, m, public, publics, private, privates, ret_public, ret_private);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
	const char *path = getenv("PROVSIM_TOKEN_MODULE");
	void *module = dlopen(path ? path : SOFTHSM, RTLD_NOW | RTLD_LOCAL);
	CK_C_GetFunctionList get =
		module ? (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList") : NULL;

	if (!get || get(&inner) != CKR_OK)
		return CKR_GENERAL_ERROR;
	outer = *inner;
	outer.C_GetFunctionList = C_GetFunctionList;
	outer.C_GetSlotList = get_slot_list;
	outer.C_GetSlotInfo = get_slot_info;
	outer.C_GetTokenInfo = get_token_info;
	outer.C_OpenSession = open_session;
	outer.C_Login = login;
	outer.C_SignInit = sign_init;
	outer.C_Sign = sign;
	outer.C_GenerateKeyPair = generate_key_pair;
	*ret = &outer;
	return CKR_OK;
}
