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
 */
#include <dlfcn.h>
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
	return is_gone() ? CKR_TOKEN_NOT_PRESENT : inner->C_GetTokenInfo(slot, info);
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
	return is("locked") ? CKR_PIN_LOCKED : inner->C_Login(s, user, pin, n);
}

static CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	return is_gone() ? CKR_DEVICE_REMOVED : inner->C_SignInit(s, m, key);
}

static CK_RV sign(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *ret_n)
{
	while (is("hang"))
		usleep(10000);
	return is_gone() ? CKR_DEVICE_REMOVED : inner->C_Sign(s, in, n, out, ret_n);
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
	*ret = &outer;
	return CKR_OK;
}
