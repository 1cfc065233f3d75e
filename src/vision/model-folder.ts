import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import * as v from 'valibot'
import { SightdError } from '../core/errors.ts'
import { type GoldenSample, type ModelManifest, modelManifestSchema } from '../core/model-manifest.ts'
import { formatSchemaIssue, schemaIssues } from '../lib/schema-issues.ts'
import { maxNetworkBytes, type ScanReport, scanModel } from './onnx-scan.ts'

/** A model on disk whose manifest holds, and whose network's bytes are those that the manifest names and passed the scan. */
export type ModelFolder = {
  readonly dir: string
  readonly manifest: ModelManifest
  /** The checked bytes of the ONNX file: what is loaded is what was checked. */
  readonly network: Uint8Array
  readonly sha256: string
  /** What the scan found in the network. */
  readonly scan: ScanReport
}

const maxManifestBytes = 4 * 1024 * 1024

/**
 * Reads and checks a model folder; throws a SightdError `model_invalid` that names the file and what is wrong with it.
 * `manifestSha256` is what its manifest.json has to be, and through it every file; null: any.
 */
export async function readModelFolder(dir: string, manifestSha256: string | null = null): Promise<ModelFolder> {
  const manifest = await readManifest(dir, manifestSha256)
  const network = await readListedFile(dir, manifest, manifest.model, maxNetworkBytes)
  const scan = scanNetwork(join(dir, manifest.model), network, manifest)
  return { dir: resolve(dir), manifest, network, sha256: manifest.files[manifest.model]?.sha256 ?? '', scan }
}

function scanNetwork(path: string, network: Uint8Array, manifest: ModelManifest): ScanReport {
  try {
    return scanModel(network, manifest)
  } catch (error) {
    throw new SightdError('model_invalid', `${path}: refused before ONNX Runtime reads it`, { cause: error })
  }
}

export async function readManifest(dir: string, manifestSha256: string | null = null): Promise<ModelManifest> {
  const path = join(dir, 'manifest.json')
  const bytes = await readBounded(path, maxManifestBytes)
  const sha256 = sha256Of(bytes)
  if (manifestSha256 !== null && sha256 !== manifestSha256)
    throw new SightdError('model_invalid', `${path}: sha256 is ${sha256}, has to be ${manifestSha256}`)
  const result = v.safeParse(modelManifestSchema, parseJson(path, bytes))
  if (result.success) return result.output
  const problems = schemaIssues(result.issues).map(formatSchemaIssue)
  throw new SightdError('model_invalid', `${path}: ${problems.join('; ')}`)
}

/** A golden sample's input tensor, as raw bytes of exactly `expectedBytes`. */
export async function readGoldenInput(
  dir: string,
  manifest: ModelManifest,
  sample: GoldenSample,
  expectedBytes: number,
): Promise<Uint8Array> {
  const packed = await readListedFile(dir, manifest, sample.input, maxNetworkBytes)
  const path = join(dir, sample.input)
  const raw = await promisify(gunzip)(packed, { maxOutputLength: expectedBytes }).catch((error: unknown) => {
    throw new SightdError('model_invalid', `${path}: can't be unpacked to ${expectedBytes} bytes`, { cause: error })
  })
  if (raw.length !== expectedBytes)
    throw new SightdError('model_invalid', `${path}: ${raw.length} bytes, the model's input has ${expectedBytes}`)
  return raw
}

async function readListedFile(
  dir: string,
  manifest: ModelManifest,
  name: string,
  maxBytes: number,
): Promise<Uint8Array> {
  const path = join(dir, name)
  const bytes = await readBounded(path, maxBytes)
  const listed = manifest.files[name]
  if (listed === undefined) throw new SightdError('model_invalid', `${path}: not listed in the manifest`)
  if (bytes.length !== listed.bytes) {
    throw new SightdError(
      'model_invalid',
      `${path}: ${bytes.length} bytes, the manifest says ${listed.bytes}${bytes.length < listed.bytes ? ' (truncated?)' : ''}`,
    )
  }
  const sha256 = sha256Of(bytes)
  if (sha256 !== listed.sha256)
    throw new SightdError('model_invalid', `${path}: sha256 is ${sha256}, the manifest says ${listed.sha256}`)
  return bytes
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    if (size > maxBytes) throw new Error(`${size} bytes, at most ${maxBytes} are allowed`)
    return await file.readFile()
  } catch (error) {
    throw new SightdError('model_invalid', `${path}: can't be read`, { cause: error })
  }
}

function parseJson(path: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new SightdError('model_invalid', `${path}: not JSON`, { cause: error })
  }
}
