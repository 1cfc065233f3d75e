import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import * as v from 'valibot'
import { defaultConfigPath } from '../config/load.ts'
import { configSchema, deviceIdSchema } from '../config/schema.ts'
import { exitCodes } from '../core/errors.ts'
import { packageVersions } from '../lib/package.ts'
import { addOtaCommands } from './ota/program.ts'
import { addSetupCommand } from './setup/command.ts'

export type { Command } from 'commander'

const examples = `
Examples:
  sightd run --demo                          watch bundled photos, with an MQTT broker of its own
  sudo sightd setup                          name, camera, broker: asks, tries, and writes the configuration
  sightd run --config /etc/sightd/config.yaml
  sightd infer photo.jpg --annotate out      what is in this picture? draws boxes into out/
  sightd model verify models/mine/1          does this model work on this CPU?
  sightd bench                               how fast is this board?
  sightd config check config.yaml            lists every mistake with its line
  sightd doctor                              is this board ready, and what is to be done?
  sightd ota --help                          new models for many devices, signed
  sightd watch --broker mqtt://192.168.1.10  what do all devices there see, and how are they?

Exit codes: 0 done, 1 failed (the message says why), 2 wrong usage, 78 wrong configuration.
doctor: 0 all is well, 1 warnings, 2 problems (or wrong usage).`

const watchExamples = `
On a terminal: a table that is kept up to date, and below it the newest events. Elsewhere: a line for each change, with
the time at which it was heard of, by the clock of this machine. Who comes makes two: \`person came\`, an event, and
\`sees person\`, what is in view.

Examples:
  sightd watch                                       the broker of ${defaultConfigPath}, or of this machine
  sightd watch --broker mqtts://broker.lan --username me --password-file ~/.mqtt
  sightd watch | grep -E 'person (came|left|out)'    a line when one comes or leaves
  sightd watch --json | jq 'select(.topic | endswith("/event")) | .payload.label'`

const benchExamples = `
Shows the bundled photos to the model in frames of 640x480, one after the other as fast as it takes them, after a warm-up,
on the same way that camera frames take, but without camera and broker. Prints what a figure has to be read with (board, CPU,
versions), the time of each stage, and what it costs, as Markdown to be pasted into an issue. handover is the way to the inference
thread and back; memory is that of this process, which holds the frames too. On – the machine tells nothing.

Stop the daemon first, or the two share the CPU. A board without a fan gets slower as it gets warm: --seconds 300 shows how much.

Examples:
  sightd bench                          10 s with as many threads as the daemon would use
  sightd bench --threads 1,2,4          which number of threads suits this board?
  sightd bench --model models/mine/1 --json | jq '.settings[] | {threads, fps}'`

const decommissionExamples = `
Clears every retained message of the device, Home Assistant's discovery message too, and ends its session. Stop sightd
on the device first: it would say everything anew.

Examples:
  sightd decommission                                this device, by ${defaultConfigPath}
  sightd decommission --broker mqtt://192.168.1.10 --id porch --yes`

/**
 * The command line: each command is one function in another file, loaded when it is called for, since some bring native
 * code that the daemon's control process must never load. Resolves to the exit code.
 */
export function createProgram(signal: AbortSignal): (args: string[]) => Promise<number> {
  let exitCode: number = exitCodes.ok
  const does =
    <Args extends unknown[]>(command: (...args: Args) => Promise<number>) =>
    async (...args: Args) => {
      exitCode = await command(...args)
    }
  const program = new Command('sightd')
    .description('Watches a camera, runs a quantized network on what it sees, and tells MQTT.')
    .version(packageVersions().own)
    .addHelpText('after', examples)
    .showHelpAfterError('(sightd --help shows how)')
    .exitOverride()

  program
    .command('run')
    .description('run the daemon in the foreground until SIGTERM or Ctrl-C')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigPath})`)
    .option('--demo', 'watch the bundled photos, with an MQTT broker of its own on 127.0.0.1')
    .option('--max-frames <n>', 'end after this many results, with a summary', wholeNumber)
    .action(does(async (options) => (await import('./run.ts')).run(options, signal)))

  addSetupCommand(program.command('setup'), { does }, signal, defaultConfigPath)

  program
    .command('infer')
    .description('run the model once on each picture and print what is in it')
    .argument('<image...>', 'JPEG or PNG files')
    .option('-m, --model <dir>', 'model folder (default: the one that comes with sightd)')
    .addOption(
      new Option('-t, --threshold <score>', "report from this score on (default: the model's own)").argParser(score),
    )
    .option('--json', 'print one JSON object per picture')
    .option('-a, --annotate <dir>', 'also write copies with boxes and labels drawn in')
    .action(does(async (images, options) => (await import('./infer.ts')).infer(images, options)))

  const model = program.command('model').description('look at models and try them')
  model
    .command('list')
    .description('list the models in a folder')
    .argument('[dir]', 'folder of <name>/<version>/ folders (default: the models that come with sightd)')
    .option('--json', 'print JSON')
    .action(does(async (dir, options) => (await import('./model.ts')).listModels(dir, options)))
  model
    .command('inspect')
    .description("check a model's files against its manifest and print what it is")
    .argument('<dir>', 'model folder')
    .option('--json', 'print the manifest as JSON')
    .action(does(async (dir, options) => (await import('./model.ts')).inspectModel(dir, options)))
  model
    .command('verify')
    .description('load a model and run its golden samples on this CPU, in a process of its own')
    .argument('<dir>', 'model folder')
    .option('--json', 'print JSON')
    .action(does(async (dir, options) => (await import('./model.ts')).verifyModel(dir, options)))

  program
    .command('bench')
    .description('measure how fast this board takes frames through the model, and at what cost')
    .option('-s, --seconds <n>', 'how long, for each number of threads (default: 10)', wholeNumber)
    .option(
      '-t, --threads <list>',
      'numbers of threads of one inference, such as 1,2,4 (default: one less than there are cores)',
      threadCounts,
    )
    .option('-m, --model <dir>', 'model folder (default: the one that comes with sightd)')
    .option('--json', 'print JSON')
    .addHelpText('after', benchExamples)
    .action(does(async (options) => (await import('./bench.ts')).bench(options, signal)))

  const camera = program.command('camera').description('look at cameras and try them (not while the daemon has them)')
  camera
    .command('list')
    .description('list the cameras that are there, and their modes')
    .option('--json', 'print JSON')
    .action(does(async (options) => (await import('./camera.ts')).listAll(options)))
  camera
    .command('test')
    .description('read the configured camera for a while and measure rate, jitter, losses, brightness')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigPath})`)
    .option('-s, --seconds <n>', 'how long', wholeNumber)
    .option('--json', 'print JSON')
    .action(does(async (options) => (await import('./camera.ts')).testCamera(options, signal)))
  camera
    .command('snapshot')
    .description('take one picture with the configured camera')
    .argument('<file.jpg>', 'where to write it')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigPath})`)
    .action(does(async (file, options) => (await import('./camera.ts')).takeSnapshot(file, options, signal)))

  const config = program.command('config').description('check configuration files')
  config
    .command('check')
    .description('list every mistake in a configuration file')
    .argument('[file]', 'configuration file', defaultConfigPath)
    .action(does(async (file) => (await import('./config.ts')).checkConfig(file)))
  config
    .command('docs')
    .description('print the reference of every key, as Markdown')
    .action(does(async () => (await import('./config.ts')).printConfigDocs()))

  program
    .command('doctor')
    .description('look at board, camera, model and broker, and say what is to be done')
    .option('-c, --config <file>', `configuration file (default: ${defaultConfigPath}, if it is there)`)
    .option('--json', 'print a JSON array of {check, status, found, advice}')
    .action(does(async (options) => (await import('./doctor.ts')).doctor(options, signal)))

  withBroker(
    program.command('watch').description('show what all devices at a broker see, and how they are, until Ctrl-C'),
  )
    .option('--json', 'print one JSON object per message: device, topic, payload, retained, ts')
    .addHelpText('after', watchExamples)
    .action(does(async (options) => (await import('./watch.ts')).watch(options, signal)))

  withBroker(
    program
      .command('decommission')
      .description('take all that a broker keeps of a device away, once the device is gone or stopped'),
  )
    .addOption(
      new Option('-i, --id <id>', "the device (default: the configuration's, else the one of this board)").argParser(
        allowedBy(deviceIdSchema),
      ),
    )
    .option('-y, --yes', 'do not ask')
    .option(
      '--force',
      'even if the device says that it is online (it comes back unless it is stopped), or if nothing is kept of it',
    )
    .option('--json', 'print {device, broker, cleared, left}, lists of topics')
    .addHelpText('after', decommissionExamples)
    .action(does(async (options) => (await import('./decommission.ts')).decommission(options, signal)))

  addOtaCommands(program.command('ota'), { does, wholeNumber, allowedBy, withBroker }, signal)

  return async (args) => {
    try {
      await program.parseAsync(args, { from: 'user' })
      return exitCode
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error
      return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    }
  }
}

/** Which broker, and who we are there. */
function withBroker(command: Command): Command {
  const { url, base_topic: baseTopic } = configSchema.entries.mqtt.wrapped.entries
  return command
    .addOption(
      new Option(
        '-b, --broker <url>',
        "the broker (default: the configuration's, else mqtt://127.0.0.1:1883)",
      ).argParser(allowedBy(url)),
    )
    .option(
      '-c, --config <file>',
      `configuration, of which only mqtt, id and home_assistant count (default: ${defaultConfigPath}, if it is there)`,
    )
    .addOption(
      new Option('--base <topic>', "first level of the topics (default: the configuration's, else sightd)").argParser(
        allowedBy(baseTopic),
      ),
    )
    .option('--username <name>', 'user name at the broker')
    .option('--password-file <file>', 'file whose first line is the password')
    .option('--ca-file <file>', 'PEM file of the authorities whose brokers are trusted, instead of the usual ones')
    .option('--cert-file <file>', 'PEM file of our certificate, for a broker that wants one')
    .option('--key-file <file>', "PEM file of the certificate's key")
}

/** A parser of arguments that takes what a key of the configuration takes. */
function allowedBy(schema: v.GenericSchema<string | undefined, string>): (text: string) => string {
  return (text) => {
    const parsed = v.safeParse(schema, text)
    if (parsed.success) return parsed.output
    throw new InvalidArgumentError(`It has to be ${parsed.issues[0].message}.`)
  }
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('It has to be a whole number, at least 1.')
  return value
}

function threadCounts(text: string): number[] {
  const counts = text.split(',').map(Number)
  if (!counts.every((count) => Number.isInteger(count) && count >= 1 && count <= 64))
    throw new InvalidArgumentError('It has to be whole numbers from 1 to 64 with commas between them.')
  return counts
}

function score(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('It has to be a number from 0 to 1.')
  return value
}
