import type { Command } from '../program.ts'

/** What commander's own file lends, so that it stays the only one. */
type Tools = {
  readonly does: <Args extends unknown[]>(
    command: (...args: Args) => Promise<number>,
  ) => (...args: Args) => Promise<void>
}

const help = `
Asks for what no option says, tries camera and broker at once, and writes the configuration, with a copy of the one before
beside it, and the passwords: the broker's for sightd.service into systemd's store, else into a file beside the configuration,
as a network camera's always is. Comments and keys of a configuration that is there stay. Without a terminal, --camera and --broker are needed (with --yes, only if
they are not configured), and what does not work is not written.

Examples:
  sudo sightd setup                                  on a device, at a terminal
  sudo sightd setup --camera libcamera --broker mqtts://broker.lan --username porch --password-file pw --ca-file ca.pem
  sudo sightd setup --camera rtsp://192.168.1.20/stream --camera-username viewer --camera-password-file pw --yes
  sightd setup --config config.yaml --dry-run        what would it write?`

export function addSetupCommand(setup: Command, { does }: Tools, signal: AbortSignal, defaultPath: string): void {
  setup
    .description('ask for name, camera and broker, try them, and write the configuration')
    .option('-c, --config <file>', `configuration file (default: ${defaultPath})`)
    .option('-n, --name <text>', 'name of the device for people')
    .option('--camera <what>', 'libcamera, libcamera:1, /dev/video0, rtsp://…, or demo (pictures)')
    .option('--camera-username <name>', 'user name at a network camera; empty for none')
    .option('--camera-password-file <file>', 'file whose first line is the password there')
    .option('-b, --broker <url>', 'the broker, such as mqtt://192.168.1.10 or mqtts://broker.lan:8883')
    .option('--username <name>', 'user name at the broker; empty for none')
    .option('--password-file <file>', 'file whose first line is the password at the broker')
    .option('--ca-file <file>', 'PEM file of the authorities whose brokers are trusted, instead of the usual ones')
    .option('--home-assistant', 'show the device in Home Assistant (default: as configured, else yes)')
    .option('--no-home-assistant', 'do not')
    .option('--credentials <dir>', "systemd's store for secrets (default: /etc/credstore, for root and the usual file)")
    .option('-y, --yes', 'ask nothing: what is not said stays as it is configured')
    .option('--no-test', 'do not try camera and broker')
    .option('--dry-run', 'print what would be written, and write nothing')
    .option('--json', 'print {config, dry_run, written, removed, unused, camera, broker}')
    .addHelpText('after', help)
    .action(does(async (options) => (await import('../setup.ts')).setup(options, signal)))
}
