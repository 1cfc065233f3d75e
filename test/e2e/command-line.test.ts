import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RunningSightd, runSightd } from '../support/daemon.ts'
import { copyOfBundledModel } from '../support/models.ts'
import { freePort } from '../support/mosquitto.ts'
import { tempFolder } from '../support/temp-folder.ts'

describe('sightd', () => {
  test('--help names every command, gives examples and the exit codes', async () => {
    const { code, stdout } = await runSightd(['--help'])
    expect(code).toBe(0)
    for (const word of ['run', 'infer', 'model', 'config', 'Examples:', 'Exit codes:']) expect(stdout).toContain(word)
  })

  test.each([
    [['run', '--max-frames', '0'], 'whole number, at least 1'],
    [['infer'], "missing required argument 'image'"],
    [['infer', 'a.jpg', '-t', '2'], 'number from 0 to 1'],
    [['rnu'], 'Did you mean run?'],
  ])('%j is wrong usage: exit code 2 and what is wrong', async (args, message) => {
    const { code, stderr } = await runSightd(args)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })

  test('a wrong configuration ends with 78 and lists every mistake with its line', async () => {
    const path = join(await tempFolder(), 'config.yaml')
    await writeFile(path, 'camera:\n  source: replay\n  path: /x\n  widht: 640\nmqtt:\n  result_rate: fast\n')
    const { code, stderr } = await runSightd(['run', '--config', path])
    expect(code).toBe(78)
    expect(stderr).toContain(`${path}:4: camera.widht: unknown key (did you mean width?)`)
    expect(stderr).toContain(`${path}:6: mqtt.result_rate: found "fast", has to be number`)
  })

  test('a configuration that is not there ends with 78 and says how to begin', async () => {
    const { code, stderr } = await runSightd(['run', '--config', '/nowhere/config.yaml'])
    expect(code).toBe(78)
    expect(stderr).toContain("/nowhere/config.yaml: can't be read (`sightd run --demo` does without): ENOENT")
  })

  test('a configuration that can not be read for the moment ends with 1, so that it is tried again', async () => {
    // Reading there is an I/O error.
    const { code, stderr } = await runSightd(['run', '--config', '/proc/self/mem'])
    expect(code).toBe(1)
    expect(stderr).toContain('EIO')
  })

  test('a password that others can read is refused', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'password'), 'secret\n', { mode: 0o644 })
    await writeFile(
      join(folder, 'config.yaml'),
      `camera: { source: replay, path: ${folder} }\nmqtt: { username: me, password_file: password }\n`,
    )
    const { code, stderr } = await runSightd(['run', '--config', join(folder, 'config.yaml')])
    expect(code).toBe(78)
    expect(stderr).toContain(`${join(folder, 'password')}: others can read this secret (mode 644); chmod 600 it`)
    expect(stderr).not.toContain('secret\n')
  })

  test('without camera, model and broker it says so three times and stays up', async () => {
    const folder = await tempFolder()
    await mkdir(join(folder, 'photos'))
    const model = await copyOfBundledModel()
    await writeFile(join(model, 'model.onnx'), 'torn')
    await writeFile(
      join(folder, 'config.yaml'),
      `camera: { source: replay, path: photos }\nmodel: { path: ${model} }\nmqtt: { url: 'mqtt://127.0.0.1:${await freePort()}' }\n`,
    )
    const sightd = new RunningSightd(['run', '--config', join(folder, 'config.yaml')])
    const camera = await sightd.line(({ msg }) => msg.startsWith('camera trouble'))
    expect(camera['reason']).toBe(`camera.path: no JPEG or PNG picture in ${join(folder, 'photos')}`)
    const vision = await sightd.line(({ msg }) => msg.startsWith('vision process is down'))
    expect(vision['reason']).toMatch(/model\.onnx: 4 bytes, the manifest says \d+ \(truncated\?\)/)
    await sightd.line(({ msg }) => msg.startsWith('broker not reachable'))
    expect(sightd.child.exitCode).toBe(null)
    sightd.child.kill('SIGTERM')
    expect(await sightd.exited).toBe(0)
  })
})
