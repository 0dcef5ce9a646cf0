// Builds, validates and packs the widget for both helpdesks: dist/replybench-crm.zip and dist/replybench-desk.zip.
// Needs no network after `npm ci`. `--out FOLDER` puts build/ and dist/ elsewhere. Settings come from the environment (see docs/ZOHO.md):
//   REPLYBENCH_URL               address of the backend that Zoho's servers can reach, https
//   REPLYBENCH_CONNECTION        link name of the connection that holds the API key         (replybench)
//   REPLYBENCH_DESK_CONNECTION   link name of the connection that may read Desk's tickets   (replybench_desk)
//   REPLYBENCH_DESK_CONNECTORS   file with the "connectors" list that Zoho shows for these connections
//   ZOHO_DOMAIN                  zoho.com, zoho.eu, zoho.in …                               (zoho.com)
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "vite";
import { entriesOf } from "./zip.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const out = resolve(parseArgs({ options: { out: { type: "string", default: root } } }).values.out);
const zet = join(dirname(createRequire(import.meta.url).resolve("zoho-extension-toolkit/package.json")), "index.js");
const DESK_LOCATIONS = ["desk.ticket.detail.rightpanel"]; // zet takes any text here, Desk does not
const SDK_LIMITS = { files: 250, bytes: 5_000_000 };

function fail(message) {
  console.error(`widget: ${message}`);
  process.exit(1);
}

function settings() {
  const url = (process.env.REPLYBENCH_URL ?? "").replace(/\/+$/, "");
  if (url) {
    const parsed = URL.canParse(url) ? new URL(url) : fail(`REPLYBENCH_URL is not an address: ${url}`);
    const isLocal = ["localhost", "127.0.0.1"].includes(parsed.hostname);
    if (parsed.protocol !== "https:" && !isLocal) fail("REPLYBENCH_URL must begin with https://");
  } else {
    console.warn("widget: REPLYBENCH_URL is not set; the widget will say so when it is opened.");
  }
  const name = (key, otherwise) => {
    const value = process.env[key] || otherwise;
    return /^[a-z0-9_.]+$/i.test(value) ? value : fail(`${key} may hold letters, digits, _ and . only`);
  };
  return {
    url,
    connection: name("REPLYBENCH_CONNECTION", "replybench"),
    deskConnection: name("REPLYBENCH_DESK_CONNECTION", "replybench_desk"),
    zohoDomain: name("ZOHO_DOMAIN", "zoho.com"),
    connectors: process.env.REPLYBENCH_DESK_CONNECTORS,
  };
}

async function bundle(host, project, config) {
  await build({
    root,
    configFile: false,
    logLevel: "warn",
    define: {
      __REPLYBENCH_URL__: JSON.stringify(config.url),
      __CONNECTION__: JSON.stringify(config.connection),
      __DESK_CONNECTION__: JSON.stringify(config.deskConnection),
      __ZOHO_DOMAIN__: JSON.stringify(config.zohoDomain),
    },
    build: {
      target: "es2022",
      outDir: join(project, "app"),
      emptyOutDir: false,
      // A classic script: it must run right after the SDK's, which is one too.
      lib: { entry: join(root, `src/main-${host}.ts`), formats: ["iife"], name: "Replybench", fileName: () => "widget.js" },
    },
  });
  cpSync(join(root, "src/style.css"), join(project, "app/style.css"));
}

/** Desk lets a widget call listed domains only: the backend's, and its own API's. */
function completeDeskManifest(project, config) {
  const path = join(project, "plugin-manifest.json");
  const manifest = JSON.parse(readFileSync(path, "utf8"));
  manifest.whiteListedDomains = [config.url && new URL(config.url).origin, `https://desk.${config.zohoDomain}`].filter(Boolean);
  const file = config.connectors && resolve(process.env.INIT_CWD ?? "", config.connectors); // where npm was called
  const connections = file ? JSON.parse(readFileSync(file, "utf8")) : [];
  // A connection to Zoho's own services has a place of its own; among the connectors, zet refuses it.
  const isZohos = ({ serviceName }) => serviceName === "zlabs_integration";
  manifest.connectors = connections.filter((connection) => !isZohos(connection));
  for (const zohos of connections.filter(isZohos)) manifest.zohoAuthorisation = { type: "connectors", ...zohos };
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
  for (const widget of manifest.modules.widgets) {
    if (!DESK_LOCATIONS.includes(widget.location)) fail(`Desk has no widget location "${widget.location}"`);
  }
}

/** zet's Desk packing runs npm and takes any line on its standard error for a failure, yet exits 0 with an empty zip. */
function runZet(command, project) {
  const quiet = { npm_config_loglevel: "error", NO_UPDATE_NOTIFIER: "1", XDG_CONFIG_HOME: join(out, "build/.config") };
  const env = { ...process.env, ...quiet };
  const result = spawnSync(process.execPath, [zet, command], { cwd: project, env, encoding: "utf8" });
  const said = `${result.stdout}${result.stderr}`;
  if (result.status !== 0 || /error/i.test(said)) fail(`zet ${command} in ${relative(out, project)}:\n${said}`);
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The zip must hold every file of app/ in full, and nothing else but Desk's manifest and resources. */
function check(zip, host, project) {
  const files = filesIn(join(project, "app"));
  if (files.length > SDK_LIMITS.files) fail(`${files.length} files, Zoho takes ${SDK_LIMITS.files}`);
  const extra = host === "desk" ? ["plugin-manifest.json", "resources.json"] : [];
  const wanted = [...files.map((file) => relative(project, file)), ...extra].sort();
  const entries = entriesOf(readFileSync(zip));
  const found = entries.map((entry) => entry.name).sort();
  if (JSON.stringify(found) !== JSON.stringify(wanted)) fail(`${zip} holds ${found.join(", ") || "nothing"}, not ${wanted.join(", ")}`);
  for (const { name, size } of entries) {
    if (size !== statSync(join(project, name)).size) fail(`${zip}: ${name} is not whole`);
    if (size > SDK_LIMITS.bytes) fail(`${name} has ${size} bytes, Zoho takes ${SDK_LIMITS.bytes}`);
  }
  return entries;
}

const config = settings();
rmSync(join(out, "dist"), { recursive: true, force: true });
mkdirSync(join(out, "dist"), { recursive: true });
for (const host of ["crm", "desk"]) {
  const name = `replybench-${host}`;
  const project = join(out, "build", name);
  rmSync(project, { recursive: true, force: true });
  cpSync(join(root, "hosts", host), project, { recursive: true });
  await bundle(host, project, config);
  if (host === "desk") completeDeskManifest(project, config);
  runZet("validate", project);
  runZet("pack", project);
  const zip = join(out, "dist", `${name}.zip`);
  cpSync(join(project, "dist", `${name}.zip`), zip);
  const entries = check(zip, host, project);
  console.log(`widget: dist/${name}.zip`);
  for (const entry of entries) console.log(`  ${String(entry.size).padStart(7)}  ${entry.name}`);
}
