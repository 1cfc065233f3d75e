import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as v from 'valibot'
import { modelManifestSchema } from '../../src/core/model-manifest.ts'
import { foundObjects } from '../../src/core/prediction.ts'
import { createDecoder } from '../../src/vision/decode.ts'
import { scanModel } from '../../src/vision/onnx-scan.ts'
import { ModelSession } from '../../src/vision/session.ts'
import { brightnessNetwork, channels, labels, mark, markLevels, side } from './brightness-network.ts'
import { type HostileKind, hostileNetworks } from './hostile-networks.ts'
import { tempFolder } from './temp-folder.ts'
import { networks } from './update-networks.ts'

/**
 * Models that a device may be offered, all of one name and one contract. A device that runs `good` on `synthetic` frames sees
 * all three labels again and again: `dark`, `grey` and `bright`, each for about a third of the time.
 *
 * - `good`: what it starts with. `requantized`: the same network quantized another way. `large`: the same with 2 MiB of ballast
 *   that nothing compresses.
 * - `wrongGolden`: works as `good` does, and its golden samples expect something else.
 * - `slow`: says what `good` says, and takes several times as long.
 * - `nanLive`, `constant`: right on golden samples; on frames NaN, or `bright` whatever there is to see.
 * - `memoryBomb`: wants 5 GB in a run. `hangs`: a run takes half an hour and more.
 * - `crashesAtLoad`, `crashesLive`: take their process down (SIGSEGV) when ONNX Runtime loads them, or at the first frame though
 *   they are right on golden samples.
 * - `hostile-…`: each refused by the scan.
 *
 * No kind and no version shares its network's digest with another; the files of golden samples are the same for all.
 */
export type ModelKind = keyof typeof networks | 'wrongGolden' | HostileKind

export const modelName = 'brightness'

export const hostileKinds = Object.keys(hostileNetworks).filter(isHostile)

function isHostile(kind: string): kind is HostileKind {
  return Object.hasOwn(hostileNetworks, kind)
}

/** `good` is version 1, `requantized` 2; others are called what they are: `nan-live`. */
export function versionOf(kind: ModelKind): string {
  if (kind === 'good') return '1'
  if (kind === 'requantized') return '2'
  return kind.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** Made once in a process. */
const made = new Map<string, Promise<ReadonlyMap<string, Uint8Array>>>()

/** Writes a model folder, a temporary one if none is given, and resolves to it. */
export async function makeModel(kind: ModelKind, folder?: string, version = versionOf(kind)): Promise<string> {
  const target = folder ?? join(await tempFolder(), modelName, version)
  const key = `${kind} ${version}`
  const files = made.get(key) ?? filesOf(kind, version)
  made.set(key, files)
  for (const [name, bytes] of await files) {
    await mkdir(dirname(join(target, name)), { recursive: true })
    await writeFile(join(target, name), bytes)
  }
  return target
}

async function filesOf(kind: ModelKind, version: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const network = networkOf(kind, `${kind} ${version}`)
  expected ??= expectations()
  const samples = (await expected).map(({ input, label, score }, i, all) => ({
    input,
    expect: [{ label: kind === 'wrongGolden' ? (all[(i + 1) % all.length]?.label ?? '') : label, score }],
  }))
  const files = new Map([
    ['model.onnx', network],
    ...[...goldenInputs].map(([name, raw]) => [name, gzipSync(raw)] as const),
  ])
  const manifest = manifestOf(files, samples, { version, description: `how bright a picture is (${kind})` })
  return files.set('manifest.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`))
}

function networkOf(kind: ModelKind, note: string): Uint8Array {
  if (!isHostile(kind)) return brightnessNetwork(networks[kind === 'wrongGolden' ? 'good' : kind](), note)
  const { network } = hostileNetworks[kind]
  return network instanceof Uint8Array ? Buffer.concat([network, Buffer.from(note)]) : brightnessNetwork(network, note)
}

/** Slopes of three brightnesses, with the mark of golden samples. */
const goldenInputs = new Map(
  labels.map((label, i) => {
    const level = (value: number) => (0.2 + 0.3 * i) * 255 + 20 * (value / mark.length - 0.5)
    return [
      `golden/${label}.rgb.gz`,
      Uint8Array.from(mark, (sign, value) => Math.round(level(value) + sign * markLevels)),
    ]
  }),
)

let expected: ReturnType<typeof expectations> | undefined

/** What `good` says of them. */
async function expectations() {
  const network = networkOf('good', '')
  const manifest = v.parse(
    modelManifestSchema,
    manifestOf(new Map([['model.onnx', network]]), [], { version: '0', description: 'maker' }),
  )
  const folder = { dir: '.', manifest, network, sha256: '', scan: scanModel(network, manifest) }
  await using session = await ModelSession.open(folder, { threads: 1 })
  const decode = createDecoder(manifest)
  const found: { input: string; label: string; score: number }[] = []
  for (const [input, raw] of goldenInputs) {
    session.input.set(raw)
    const [best] = foundObjects(decode(await session.run(), 0))
    if (best === undefined) throw new Error(`nothing found in ${input}`)
    found.push({ input, label: best.label, score: best.score })
  }
  return found
}

function manifestOf(
  files: ReadonlyMap<string, Uint8Array>,
  golden: readonly { input: string; expect: readonly { label: string; score: number }[] }[],
  texts: { version: string; description: string },
) {
  const listed = [...files].map(([name, bytes]) => {
    return [name, { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }] as const
  })
  return {
    format: 1,
    name: modelName,
    ...texts,
    task: 'classification',
    licence: 'CC0-1.0',
    source: 'made up by test/support/update-models.ts',
    model: 'model.onnx',
    files: Object.fromEntries(listed),
    input: {
      name: 'image',
      shape: [1, side, side, channels],
      type: 'uint8',
      layout: 'NHWC',
      colour: 'RGB',
      // The pattern of `synthetic` is as bright in the middle as it ever gets, and as dark; over a whole frame it hardly changes.
      resize: 'crop',
      cropFraction: 0.1,
    },
    outputs: [{ name: 'scores', shape: [1, labels.length], type: 'float32' }],
    decode: { scores: 'scores', activation: 'none', top: labels.length },
    labels,
    threshold: 0.5,
    golden,
    tolerance: { score: 0.02, box: 0 },
  }
}
