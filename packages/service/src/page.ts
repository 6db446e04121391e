import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

// The page at `/`: one file without anything from elsewhere. It holds no data, so everybody may have it; what it shows it asks /status
// for, with the token that its reader types in.

/** The page, and what a browser may do with it. */
export type Page = { readonly html: string; readonly headers: Readonly<Record<string, string>> };

/**
 * Makes a page of the frame that all doors share and of what one door shows: `content`, and a script `show` that has a function `show(status)`. To be
 * done once.
 */
export function loadPage(title: string, { content, show }: { readonly content: URL; readonly show: URL }): Page {
  const frame = readFileSync(new URL('../assets/frame.html', import.meta.url), 'utf8');
  // Functions: a text would have its dollar signs read.
  const html = frame
    .replaceAll('<!--title-->', () => title)
    .replace('<!--content-->', () => readFileSync(content, 'utf8').trimEnd())
    .replace('/*show*/', () => readFileSync(show, 'utf8').trimEnd());
  const policy = [
    "default-src 'none'",
    `script-src ${digestOf(html, 'script')}`,
    `style-src ${digestOf(html, 'style')}`,
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return { html, headers: { 'content-security-policy': policy.join('; '), 'referrer-policy': 'no-referrer' } };
}

/** The digest by which a browser knows the page's one element of a name for ours (Content Security Policy Level 3, "hash-source"). */
function digestOf(html: string, name: string): string {
  const content = html.slice(html.indexOf(`<${name}>`) + name.length + 2, html.indexOf(`</${name}>`));
  return `'sha256-${createHash('sha256').update(content).digest('base64')}'`;
}
