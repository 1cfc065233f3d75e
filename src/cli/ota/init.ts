import { exitCodes, SightdError } from '../../core/errors.ts'
import { defaultLifetimes, type Lifetimes } from '../../ota/documents.ts'
import { makeKey, type NewKey, type Signer } from '../../ota/key-files.ts'
import { type KeyRole, keyRoles, type NamedKey, newRepository } from '../../ota/role-keys.ts'
import { atBench, type Bench, finish, type OtaOptions } from './bench.ts'

export type InitOptions = OtaOptions & {
  readonly rootKeys?: number
  readonly rootThreshold?: number
  readonly days?: Partial<Lifetimes>
}

/** `sightd ota init`: the keys that are not there yet, and an empty repository that they have signed. */
export async function init(options: InitOptions, signal: AbortSignal): Promise<number> {
  const { rootKeys = 3, rootThreshold = Math.min(2, rootKeys), days = {} } = options
  if (rootThreshold > rootKeys) {
    process.stderr.write(`sightd: ${rootThreshold} of ${rootKeys} root keys can't sign\n`)
    return exitCodes.usage
  }
  const work = async (bench: Bench) => {
    if (bench.state !== undefined) throw new SightdError('ota_failed', `${bench.repo}: there is a repository already`)
    // Later metadata than the first without a timestamp is no making that was cut short.
    for (const name of ['2.root.json', '2.targets.json', '2.snapshot.json'])
      if ((await bench.read(`metadata/${name}`)) !== undefined)
        throw new SightdError('ota_failed', `${bench.repo}: a repository whose metadata/timestamp.json is missing`)
    const made: NewKey[] = []
    const keys = { root: [], targets: [], deploy: [], snapshot: [], timestamp: [] } as const satisfies Keys
    const chosen: { [R in KeyRole]: readonly NamedKey[] } = { ...keys }
    for (const role of keyRoles) chosen[role] = chooseKeys(bench, role, role === 'root' ? rootKeys : 1, made)
    const change = newRepository(chosen, rootThreshold, { ...defaultLifetimes, ...days })
    const there = keyRoles
      .flatMap((role) => chosen[role])
      .filter(({ id }) => !made.some(({ signer }) => signer.id === id))
    const lines = [
      `${bench.repo}: an empty repository; put it on any web server or stick`,
      `root      ${rootThreshold} of ${rootKeys} keys: ${namesIn(chosen.root, bench, made)}`,
      ...keyRoles.slice(1).map((role) => `${role.padEnd(10)}${namesIn(chosen[role], bench, made)}`),
      ...(made.length > 0
        ? [`new keys in ${bench.keyring.folder}: take root and targets keys to a safe place, with a copy`]
        : []),
      ...(there.length > 0 ? [`used as they were there: ${namesIn(there, bench, made)}`] : []),
      `devices need to know metadata/1.root.json`,
    ]
    const facts = {
      repository: bench.repo,
      keys: keyRoles.flatMap((role) => chosen[role].map(({ id }) => ({ role, id }))),
    }
    return finish(bench, change, { report: { lines, facts }, newKeys: made })
  }
  return atBench(options, signal, work, { makesFolder: true })
}

type Keys = { readonly [R in KeyRole]: readonly NamedKey[] }

/** Those that are named after the role, and new ones as far as they don't do. */
function chooseKeys({ keyring }: Bench, role: KeyRole, count: number, made: NewKey[]): NamedKey[] {
  const named = new RegExp(`^${role}(-\\d+)?$`)
  const here: NamedKey[] = keyring.entries.filter(({ name }) => named.test(name)).slice(0, count)
  const added = keyring.freeNames(role, count - here.length).map((name) => makeKey(name))
  made.push(...added)
  return [...here, ...added.map(({ signer: { id, key } }: { signer: Signer }) => ({ id, key }))]
}

function namesIn(keys: readonly NamedKey[], { keyring }: Bench, made: readonly NewKey[]): string {
  return keys.map(({ id }) => made.find(({ signer }) => signer.id === id)?.name ?? keyring.nameOf(id)).join(', ')
}
