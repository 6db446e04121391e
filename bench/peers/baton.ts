import type { Method } from './method.ts';

/** The one that the ratios and the goals are about: the far side over ssh, as its peers have it. */
export const batonOverSsh: Method = {
  name: 'baton',
  title: 'baton copy over ssh',
  needs: ['ssh', 'sshd', 'ssh-keygen'],
  ssh: true,
  script: '"$BATON" copy --quiet --ssh "ssh -F $SSH_CONFIG" --agent "$BATON" "$SOURCE/$NAME" bench-target:"$TARGET"',
};

export const batonLocal: Method = {
  name: 'baton-local',
  title: 'baton copy, local directory',
  needs: [],
  script: '"$BATON" copy --quiet "$SOURCE/$NAME" "$TARGET"',
};

export const batonChain: Method = {
  name: 'baton-chain',
  title: 'baton copy, chain of 3 local directories',
  needs: [],
  targets: 3,
  script: '"$BATON" copy --quiet --topology chain "$SOURCE/$NAME" "$TARGET" "$TARGET2" "$TARGET3"',
};
