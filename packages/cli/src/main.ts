import { rawArguments } from './raw-arguments.ts';

// The entry: the only place that reads argv and the environment and sets the exit code. What is not needed for `--version`
// and `agent` is loaded when it is: an agent starts on every host of every copy.

async function main(words: readonly string[]): Promise<number> {
  if (words[0] === 'agent' && words.length === 1) {
    const { runAgent } = await import('@batondb/copy/agent');
    await runAgent(process.stdin, process.stdout);
    return 0;
  }
  if (words[0] === 'sync') {
    const { runDoor } = await import('./service/run.ts');
    const { parseSync } = await import('./sync/command.ts');
    return await runDoor(parseSync, words.slice(1), process.env);
  }
  if (words[0] === 'sqlite') {
    const { runDoor } = await import('./service/run.ts');
    const { parseSqlite } = await import('./sqlite/command.ts');
    return await runDoor(parseSqlite, words.slice(1), process.env);
  }
  if (words[0] === 'galera') {
    const { runGalera } = await import('./galera/run.ts');
    return await runGalera(words.slice(1), process.env);
  }
  return await runCommand(words);
}

async function runCommand(words: readonly string[]): Promise<number> {
  const { version } = await import('@batondb/core/version');
  const { reportFailure } = await import('./failure.ts');
  const { watchInterruption } = await import('./interruption.ts');
  const { Output } = await import('./output.ts');
  const interruption = watchInterruption();
  const stdout = new Output(process.stdout, interruption);
  const stderr = new Output(process.stderr, interruption);
  const [first] = words;
  try {
    if (first === '--version' || first === '-V') {
      await stdout.writeLines([`baton ${version}`]);
      return 0;
    }
    const { parseCommandLine } = await import('./command-line.ts');
    const { readerFor } = await import('./config/reader.ts');
    const reader = readerFor(process.env);
    const request = parseCommandLine(words, reader.read);
    if (request.kind === 'text') {
      await (request.isAsked ? stdout : stderr).write(request.text);
      return request.isAsked ? 0 : 2;
    }
    if (request.kind === 'config') {
      const { runConfig } = await import('./run.ts');
      return await runConfig(request, stdout);
    }
    if (request.view.volume === 'verbose' && request.view.form === 'human') await stderr.writeLines(reader.lines());
    if (request.kind === 'forget') {
      const { runForget } = await import('./run-forget.ts');
      return await runForget(request, { stdout, stderr, interruption });
    }
    const context = { stdout, stderr, interruption, environment: process.env, words };
    if (request.kind === 'verify') {
      const { runVerify } = await import('./run-verify.ts');
      return await runVerify(request, context);
    }
    const { runCopy, runClean } = await import('./run.ts');
    return request.kind === 'copy' ? await runCopy(request, context) : await runClean(request, context);
  } catch (error) {
    const exitCode = await reportFailure(error, stderr);
    return interruption.exitCode() ?? exitCode;
  }
}

// An exit in so many words: a socket or worker that somebody forgot must not keep a finished command alive.
process.exit(await main(rawArguments(process.argv.slice(2))));
