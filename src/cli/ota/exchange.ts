import { exitCodes, SightdError } from '../../core/errors.ts'
import { approvedModels, describeIndex, revokedModels, shortName } from '../../ota/approved-models.ts'
import { type Draft, lackOf } from '../../ota/drafts.ts'
import { readExchange, requireNext, writeExchange } from '../../ota/exchange.ts'
import { unlockKey } from '../../ota/key-files.ts'
import { targetFileName } from '../../ota/repository.ts'
import { atBench, type Bench, explained, finishDrafts, type OtaOptions, printJson, printLines } from './bench.ts'
import { Passphrases } from './passphrase.ts'

/** `sightd ota sign`: on the machine that has the key. It needs no repository and no network. */
export async function signFile(
  file: string,
  options: OtaOptions & { readonly key: string },
  signal: AbortSignal,
): Promise<number> {
  return explained(async () => {
    const { key, json = false, dryRun = false, passphraseFile } = options
    const drafts = await readExchange(file)
    // Before the passphrase is asked for: who has seen something else than expected still can say no.
    printLines([`${file} says:`, ...drafts.flatMap(describe)], json ? process.stderr : process.stdout)
    const signer = await unlockKey(key, new Passphrases(passphraseFile, signal).forKey)
    const isMine = ({ needs }: Draft) => needs.some(({ keyids }) => keyids.includes(signer.id))
    const mine = drafts.filter(isMine)
    if (mine.length === 0)
      throw new SightdError(
        'ota_failed',
        `${file}: nothing in it is to be signed by ${key} (id ${signer.id.slice(0, 16)})`,
      )
    const signed = drafts.map((draft) => {
      if (!isMine(draft)) return draft
      const { envelope } = draft
      const others = envelope.signatures.filter(({ keyid }) => keyid !== signer.id)
      const signatures = [...others, signer.sign(envelope.signed)]
      return { ...draft, envelope: { signed: envelope.signed, signatures } }
    })
    if (!dryRun) await writeExchange(file, signed)
    const facts = mine.map(({ role, envelope }) => ({ role, version: envelope.signed.version }))
    if (json) printJson({ file, key: signer.id, signed: facts, dry_run: dryRun })
    else
      printLines([
        `${dryRun ? 'would sign' : 'signed'}: ${facts.map(({ role, version }) => `${role} ${version}`).join(', ')}`,
      ])
    return exitCodes.ok
  })
}

/** What a person puts a signature under: all of it, whatever the file calls it, since its signature fits elsewhere too. */
function describe({ role, envelope: { signed } }: Draft): string[] {
  const head = `${role} ${signed.version}, good until ${signed.expires}`
  const short = (ids: readonly string[]) => ids.map((id) => id.slice(0, 16)).join(', ')
  if (signed._type === 'root') {
    const { roles } = signed
    const names = ['root', 'targets', 'snapshot', 'timestamp'] as const
    return [
      head,
      ...names.map((name) => `  ${name}: ${roles[name].threshold} of the keys ${short(roles[name].keyids)}`),
    ]
  }
  const models = approvedModels(signed)
  return [
    head,
    ...(signed.delegations?.roles ?? []).map(
      ({ name, paths, threshold, keyids }) => `  ${paths.join(', ')}: ${threshold} of ${name}'s keys ${short(keyids)}`,
    ),
    ...models.map(
      ({ folder, bytes, rollbackIndex }) => `  ${shortName(folder)}, ${bytes} bytes${describeIndex(rollbackIndex)}`,
    ),
    // Each single one: a file that hides below a model's folder could be a model of its own.
    ...Object.entries(signed.targets).map(
      ([path, { length, hashes, custom }]) =>
        `  ${path}, ${length} bytes, sha256 ${hashes.sha256}${custom === undefined ? '' : `, ${JSON.stringify(custom)}`}`,
    ),
    ...revokedModels(signed).map((folder) => `  revoked: ${shortName(folder)}`),
  ]
}

/** `sightd ota import`: what was signed elsewhere goes into the repository, once enough have signed it. */
export async function importFile(file: string, options: OtaOptions, signal: AbortSignal): Promise<number> {
  return atBench(options, signal, async (bench) => {
    const { state, keyring, read } = bench
    const drafts = await readExchange(file)
    requireNext(drafts, state, file)
    if (state === undefined) for (const { envelope } of drafts) requireOwnKeys(envelope.signed, keyring, file)
    for (const { envelope } of drafts) {
      if (envelope.signed._type === 'root') continue
      for (const [path, { hashes }] of Object.entries(envelope.signed.targets))
        if ((await read(targetFileName(path, hashes.sha256))) === undefined)
          throw new SightdError(
            'ota_failed',
            `${file}: ${path} is not in ${bench.repo}: import it where --unsigned was given`,
          )
    }
    // Our own keys signed when the file was made. They sign nothing here: what comes back may be anything.
    const lacks = drafts.flatMap((draft) => lackOf(draft, keyring) ?? [])
    if (lacks.length > 0) throw new SightdError('ota_failed', `${file}: ${lacks.join('; ')}`)
    const names = drafts.map(({ role, envelope }) => `${role} ${envelope.signed.version}`)
    return finishDrafts(bench, drafts, [], {
      report: { lines: [`in the repository now: ${names.join(', ')}`], facts: { file, roles: names } },
    })
  })
}

/** The first of all roots has nothing before it that vouches for it: its keys have to be those that were made here. */
function requireOwnKeys(
  signed: Draft['envelope']['signed'],
  { entries, folder }: Bench['keyring'],
  file: string,
): void {
  const roles =
    signed._type === 'root'
      ? [signed.roles.root, signed.roles.targets, signed.roles.snapshot, signed.roles.timestamp]
      : (signed.delegations?.roles ?? [])
  for (const id of roles.flatMap(({ keyids }) => keyids))
    if (!entries.some((entry) => entry.id === id))
      throw new SightdError(
        'ota_failed',
        `${file}: key ${id.slice(0, 16)} has no .pub.json in ${folder}: it is not one of yours`,
      )
}
