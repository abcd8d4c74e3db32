// The packages are where `make setup` put them, apart from the sources: CARNET_NODE_PACKAGES names the folder.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.CARNET_NODE_PACKAGES}/`);

export const take = (name) => import(pathToFileURL(require.resolve(name)));
