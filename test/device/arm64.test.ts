import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { modelManifestSchema } from '../../src/core/model-manifest.ts'
import type { Box } from '../../src/core/prediction.ts'
import { bundledModel } from '../../src/daemon.ts'
import { packageRoot, packageVersions } from '../../src/lib/package.ts'
import { type LogLine, runSightd } from '../support/daemon.ts'
import { findProgram } from '../support/mosquitto.ts'
import { canEmulate, cpus, dotProductProgram, Emulator } from './emulator.ts'
import { isElf, unpack } from './packages.ts'

/**
 * What this can't show: how fast a board is; a board's kernel, its camera and its temperature; that two threads see each other's
 * writes in order, which x64 gives for nothing; pages of 16 KiB at work; and that nothing uses AES or SHA instructions unasked,
 * since qemu's A53 and A72 have them and those of the Pi 3 and 4 don't.
 */

const deb = inject('packages').arm64
const photos = globSync('deploy/demo/*.jpg', { cwd: packageRoot })
  .sort()
  .map((name) => join(packageRoot, name))

/** What a machine without a camera ends `sightd doctor` with. */
const doctorWarns = 1

/** Why the daemon starts something anew on an emulated CPU that a busy machine gives little time. */
const isForSlowness = /no progress for|no frame for/

const { tolerance } = v.parse(
  modelManifestSchema,
  JSON.parse(readFileSync(join(bundledModel, 'manifest.json'), 'utf8')),
)

type Photo = { readonly detections: readonly { readonly label: string; readonly score: number; readonly box: Box }[] }

describe.skipIf(deb === undefined)('the arm64 package', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sightd-test-'))
    unpack(deb ?? '', folder)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.skipIf(findProgram('readelf') === undefined)(
    'can be loaded in pages of 16 KiB, as a Pi 5 has (needs readelf)',
    () => {
      const files = globSync(['**/*.node', '**/*.so*', '**/bin/node'], { cwd: folder, withFileTypes: true })
      const binaries = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name))
      expect(binaries).toHaveLength(5)
      for (const path of binaries.filter(isElf)) {
        const text = execFileSync('readelf', ['--wide', '--program-headers', path], { encoding: 'utf8', stdio: 'pipe' })
        const alignments = [...text.matchAll(/^ +LOAD .* (0x[0-9a-f]+)$/gm)].map(([, alignment]) => Number(alignment))
        expect(alignments.length).toBeGreaterThan(0)
        for (const alignment of alignments) expect(alignment % 0x4000).toBe(0)
      }
    },
  )

  describe.skipIf(!canEmulate()).each(cpus)(
    'on an emulated $cpu: $boards (needs install-qemu.sh to have run, x64, and Linux 6.7)',
    ({ cpu, hasDotProduct }) => {
      let emulator: Emulator
      beforeAll(() => {
        emulator = new Emulator(cpu, folder)
      })

      /** Resolves to what it printed, and to the scripts that ran in processes of their own, in this order. */
      const sightd = async (args: readonly string[], mostCode = 0) => {
        const { code, signal, stdout, stderr, started } = await emulator.run(join(folder, 'usr/bin/sightd'), ...args)
        // An illegal instruction would be told here, whoever had it.
        expect({ signal, stderr }).toEqual({ signal: null, stderr: '' })
        expect(code).toBeLessThanOrEqual(mostCode)
        return { stdout, scripts: started.map((line) => /\/dist\/(\S+)/.exec(line)?.[1]) }
      }

      test(`${hasDotProduct ? 'takes' : 'refuses'} dot products, so that a program that uses them unasked is found`, async () => {
        const program = join(folder, 'dot-product')
        writeFileSync(program, dotProductProgram(), { mode: 0o755 })
        const { code, signal } = await emulator.run(program)
        expect({ code, signal }).toEqual({ code: 0, signal: hasDotProduct ? null : 'SIGILL' })
      })

      test('says its version', async () => {
        expect(await sightd(['--version'])).toEqual({ stdout: `${packageVersions().own}\n`, scripts: ['main.js'] })
      })

      test('doctor knows the CPU, and finds the model in order', async () => {
        const { stdout, scripts } = await sightd(['doctor', '--json'], doctorWarns)
        const found = (text: string) => expect.objectContaining({ status: 'ok', found: expect.stringContaining(text) })
        const findings = new Map(JSON.parse(stdout).map((finding: { check: string }) => [finding.check, finding]))
        expect(findings.get('system')).toEqual(found('arm64'))
        expect(findings.get('cpu')).toEqual(found(hasDotProduct ? 'NEON, dot product' : 'no dot product'))
        expect(findings.get('model')).toEqual(found('golden samples came out as expected'))
        expect(scripts).toEqual(['main.js', 'vision/trial.js'])
      })

      test('the golden samples come out as expected', async () => {
        const model = join(folder, 'usr/lib/sightd', relative(packageRoot, bundledModel))
        const { stdout, scripts } = await sightd(['model', 'verify', '--json', model])
        expect(JSON.parse(stdout)).toMatchObject({ ok: true, golden: [{ problems: [] }, { problems: [] }] })
        expect(scripts).toEqual(['main.js', 'vision/trial.js'])
      })

      test('finds in photos what x64 finds', async () => {
        const emulated = parseLines<Photo>((await sightd(['infer', '--json', ...photos])).stdout)
        const native = parseLines<Photo>((await runSightd(['infer', '--json', ...photos])).stdout)
        expect(emulated.map(labelsOf)).toEqual(native.map(labelsOf))
        expect(native.flatMap(labelsOf)).toEqual(expect.arrayContaining(['cat', 'person', 'cup']))
        const pairs = native.flatMap(({ detections }, photo) =>
          detections.map((found, at) => ({ found, other: emulated[photo]?.detections[at] ?? found })),
        )
        for (const { found, other } of pairs) {
          expect(Math.abs(found.score - other.score)).toBeLessThanOrEqual(tolerance.score)
          for (const side of ['xmin', 'ymin', 'xmax', 'ymax'] as const)
            expect(Math.abs(found.box[side] - other.box[side])).toBeLessThanOrEqual(tolerance.box)
        }
      })

      test('run --demo looks at five frames', async () => {
        const { stdout, scripts } = await sightd(['run', '--demo', '--max-frames', '5'])
        const log = parseLines<LogLine>(stdout)
        expect(log.filter(({ level, reason }) => level !== 'info' && !isForSlowness.test(String(reason)))).toEqual([])
        expect(log.at(-1)).toMatchObject({ msg: 'stopped' })
        expect(Number(log.at(-1)?.['results'])).toBeGreaterThanOrEqual(5)
        expect([...new Set(scripts)]).toEqual(['main.js', 'vision/main.js'])
      })
    },
  )
})

function parseLines<Line>(text: string): Line[] {
  return text
    .trim()
    .split('\n')
    .map((line): Line => JSON.parse(line))
}

function labelsOf({ detections }: Photo): string[] {
  return detections.map(({ label }) => label)
}
