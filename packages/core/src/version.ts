/** The version of Baton; the same for every package. A check compares it with package.json. */
export const version = '0.1.0';
