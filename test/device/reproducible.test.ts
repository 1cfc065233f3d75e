import { readFileSync } from 'node:fs'
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
})
