import { open } from 'node:fs/promises'
import * as v from 'valibot'
import { SightdError } from '../core/errors.ts'
import { writeFileAtomic } from '../lib/atomic-file.ts'
import { describeDiskError } from '../lib/disk-error.ts'
import { rootSchema, signaturesSchema, targetsSchema } from './documents.ts'
import type { Draft } from './drafts.ts'
import { OtaError } from './ota-error.ts'
import type { RepositoryState } from './repository.ts'
import { parseStrictJson } from './strict-json.ts'

/**
 * A change on its way to those who sign it: the file goes to the machine with the keys and back. Nothing in it is trusted:
 * who signs is shown what it says, and what comes back is checked like all metadata.
 */

const roleKeys = v.object({ keyids: v.array(v.string()), threshold: v.number() })
const rest = { signatures: signaturesSchema, needs: v.array(roleKeys) }
const draftSchema = v.variant('role', [
  v.strictObject({ role: v.literal('root'), signed: rootSchema, ...rest }),
  v.strictObject({ role: v.literal('targets'), signed: targetsSchema, ...rest }),
  v.strictObject({ role: v.literal('deploy'), signed: targetsSchema, ...rest }),
])
const exchangeSchema = v.strictObject({
  format: v.literal('sightd-ota-1'),
  drafts: v.pipe(v.array(draftSchema), v.minLength(1), v.maxLength(3)),
})

/** Root, targets and deploy at their largest, and then some. */
const maxBytes = 2 * 1024 * 1024

export async function writeExchange(path: string, drafts: readonly Draft[]): Promise<void> {
  const flat = drafts.map(({ role, envelope: { signed, signatures }, needs }) => ({ role, signed, signatures, needs }))
  const text = `${JSON.stringify({ format: 'sightd-ota-1', drafts: flat }, null, 1)}\n`
  await writeFileAtomic(path, text, 0o644).catch((error: unknown) => {
    throw new SightdError('ota_failed', `${path}: can't be written: ${describeDiskError(error)}`)
  })
}

/** Throws a SightdError or OtaError when it is no such file. */
export async function readExchange(path: string): Promise<Draft[]> {
  const json = parseStrictJson(await readBounded(path), path, { maxBytes })
  const parsed = v.safeParse(exchangeSchema, json)
  if (!parsed.success)
    throw new OtaError('malformed', path, 'not a file of sightd ota … --unsigned, or of another version of sightd')
  return parsed.output.drafts.map(({ role, signed, signatures, needs }) => ({
    role,
    envelope: { signed, signatures },
    needs,
  }))
}

async function readBounded(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1, 0)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    throw new SightdError('ota_failed', `${path}: can't be read: ${describeDiskError(error)}`)
  }
}

/** Throws a SightdError when the repository has changed since the drafts were made. */
export function requireNext(drafts: readonly Draft[], state: RepositoryState | undefined, path: string): void {
  for (const { role, envelope } of drafts) {
    const here = state?.[role].version ?? 0
    if (envelope.signed.version !== here + 1)
      throw new SightdError(
        'ota_failed',
        `${path}: it is version ${envelope.signed.version} of ${role}, and the repository has ${here}: ` +
          'something else came in between, so make it anew',
      )
  }
}
