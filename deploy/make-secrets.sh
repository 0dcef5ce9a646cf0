#!/bin/sh
# Make the secrets of docker-compose.yml, once. Files that exist are left alone.
# The folder is its owner's; the files in it can be read by the containers' own users.
set -eu
cd "$(dirname "$0")/.."
mkdir -p secrets && chmod 700 secrets

put() { # name, value
  if [ ! -e "secrets/$1" ]; then
    printf '%s' "$2" > "secrets/$1"
    chmod 444 "secrets/$1"
    echo "made secrets/$1"
  fi
}

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

put postgres_password "$(random)"
put database_url "postgresql://replybench:$(cat secrets/postgres_password)@postgres:5432/replybench"
put api_key "$(random)"
# To begin with the console uses the first key. Put its own here: replybench keys create console --scope suggest \
#   --scope rate --scope results --scope studies --scope operate --scope act_as --rate 6000 --concurrent 500
put console_api_key "$(cat secrets/api_key)"
put openai_api_key ""
put hf_token ""
# The identity provider, if there is one: fill in, and set OIDC_FILE=/run/secrets/oidc.toml in .env.
put oidc.toml "[auth]
redirect_uri = \"https://replybench.example/oauth2callback\"
cookie_secret = \"$(random)\"
client_id = \"\"
client_secret = \"\"
server_metadata_url = \"https://id.example/.well-known/openid-configuration\"
"
