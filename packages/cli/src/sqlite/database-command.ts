import type { Command } from 'commander';
import type { Accept } from './command.ts';

export function addDatabaseCommands(_program: Command, _accept: Accept): void {}
