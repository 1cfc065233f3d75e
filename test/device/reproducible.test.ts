import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { tempFolder } from '../support/temp-folder.ts'
import { archs, packagePath, runPackager } from './packages.ts'

const packages = inject('packages')

describe('npm run package', () => {
  test.skipIf(packages.arm64 === undefined).concurrent.each(archs)(
    'makes the same bytes of %s again, whatever the umask, time zone, language and folder',
    { timeout: 1_800_000 },
    async (arch) => {
      const folder = await tempFolder()
      const shell = 'umask 077; TZ=Asia/Tokyo LC_ALL=C.UTF-8 TMPDIR="$PWD" exec "$@"'
      await runPackager(arch, folder, { shell, cwd: folder })
      const [first, second] = [packages[arch] ?? '', packagePath(folder, arch)].map((path) => readFileSync(path))
      expect(second?.equals(first ?? Buffer.alloc(0))).toBe(true)
    },
  )

  test("says so where npm is too old to install for another machine, as Debian's is", async () => {
    const folder = await tempFolder()
    // What npm 9 answers to `config get libc` and `--version`.
    writeFileSync(join(folder, 'npm'), '#!/bin/sh\n[ "$1" = config ] && echo undefined || echo 9.2.0\n', {
      mode: 0o755,
    })
    const shell = `PATH="${folder}:$PATH" exec "$@"`
    await expect(runPackager('arm64', folder, { shell })).rejects.toThrow(/npm 9\.2\.0 can't .*npx npm@10 run package/)
  })
})
