import type { Asker } from './asker.ts'

/** Who we are at a host. `kept`: the password that is configured. */
export type Account = {
  readonly username: string | undefined
  readonly password: { readonly kind: 'kept' | 'none' } | { readonly kind: 'given'; readonly text: string }
}

/** What is configured of that, and for which host. */
export type KnownAccount = {
  readonly url: string | undefined
  readonly username: string | undefined
  readonly hasPassword: boolean
}

/** What the command line says of it. */
export type AccountFlags = {
  /** Empty: none. */
  readonly username?: string | undefined
  readonly password?: string | undefined
}

/** Whether what is configured for one host may go to the one at `url`: a password is for one host. */
export function isSameHost(known: string | undefined, url: string): boolean {
  return known !== undefined && URL.parse(known)?.hostname === URL.parse(url)?.hostname
}

/** Without a question: what is not said stays as it is configured, as far as it is for the same host. */
export function accountOf(url: string, { username, password }: AccountFlags, known: KnownAccount): Account {
  const isSame = isSameHost(known.url, url)
  const user = username === undefined ? (isSame ? known.username : undefined) : username || undefined
  const mayKeep = isSame && user === known.username && known.hasPassword
  return {
    username: user,
    password: password === undefined ? { kind: mayKeep ? 'kept' : 'none' } : { kind: 'given', text: password },
  }
}

/** Asks for what the command line doesn't say; `last` is an answer that was not good. */
export async function askAccount(
  asker: Asker,
  url: string,
  {
    known,
    flags,
    last,
  }: {
    readonly known: KnownAccount
    readonly flags: AccountFlags
    readonly last: (Account & { readonly url: string }) | undefined
  },
): Promise<Account> {
  const usual = (last ?? accountOf(url, flags, known)).username ?? '-'
  const username =
    flags.username ??
    (await asker.line('User name there, - for none', usual, (answer) => (answer === '-' ? '' : answer)))
  if (username === '') return { username: undefined, password: { kind: 'none' } }
  if (flags.password !== undefined) return { username, password: { kind: 'given', text: flags.password } }
  const before =
    last !== undefined && username === last.username && isSameHost(last.url, url)
      ? last.password
      : accountOf(url, { username }, known).password
  const typed = await asker.hidden(`Password${before.kind === 'none' ? '' : ', Enter for the one there is'}`)
  return { username, password: typed === '' ? before : { kind: 'given', text: typed } }
}
