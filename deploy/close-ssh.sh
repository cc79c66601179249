#!/bin/sh
# Lets only one address in through SSH: close-ssh.sh RESOURCE_GROUP [ADDRESS], by default the one that you are seen with.
# Ray's template opens port 22 of the head to the whole internet (by key alone) and has no setting against it. Run this
# after each `ray up` that says it checks Azure's settings, for that one puts Ray's rule back. Nothing else comes in from
# outside: the learner's port is reached within the virtual network alone.
set -eu

group=${1:?"which resource group? for example: close-ssh.sh skygarden"}
address=${2:-$(curl --fail --silent --show-error --max-time 20 https://api.ipify.org)}
case $address in
  '' | 0.0.0.0* | '*' | *[!0-9a-fA-F.:/]*) echo "close-ssh.sh: $address is not an address of one machine" >&2 && exit 2 ;;
esac

names=$(az network nsg list --resource-group "$group" --query "[?starts_with(name, 'ray-')].name" --output tsv)
[ -n "$names" ] || { echo "close-ssh.sh: no ray-*-nsg in $group; run ray up first" >&2 && exit 1; }
for name in $names; do
  az network nsg rule update --resource-group "$group" --nsg-name "$name" --name SSH \
    --source-address-prefixes "$address" --output none
  echo "$name: SSH from $address alone"
done
