import { closeSync } from 'node:fs';

/**
 * Closes descriptors that a parent has left open for us, by the list that a shell made of them before Node opened any of its own: numbers with spaces
 * between. What is no number above 2, or not open any more, is passed over.
 */
export function closeInherited(list: string): void {
  for (const word of list.split(' ')) {
    const descriptor = /^\d{1,7}$/.test(word) ? Number(word) : 0;
    if (descriptor <= 2) continue;
    try {
      closeSync(descriptor);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBADF') throw error;
    }
  }
}
