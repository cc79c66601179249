<#
.SYNOPSIS
    Makes this Windows machine a render node: a plain gRPC client of a Skygarden learner, without Ray.

.DESCRIPTION
    Installs Skygarden in a virtual environment of its own, checks that the ViGEmBus driver is there, and registers a
    task that starts `skygarden worker` when you log on and again when it fails. A game needs a desktop that somebody is
    logged on to, so this is a task at logon and no service. No secret is on a command line: the certificate is a folder
    of files, as `skygarden certs` writes them on the learner's machine. Run it as the user who plays, as administrator
    for -InstallDriver. Not run yet: there was no Windows where it was written.

.EXAMPLE
    .\windows-render-node.ps1 -Learner 10.12.0.4:50051 -Name windows-1 -Certificate C:\skygarden\windows-1 `
        -GameProfile C:\skygarden\game.toml -Wheel C:\skygarden\skygarden-0.1.0-py3-none-any.whl
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    # The learner's address, HOST:PORT.
    [Parameter(Mandatory)]
    [ValidatePattern('^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):([1-9][0-9]{0,4})$')]
    [string] $Learner,

    # What the learner knows this machine by: the name in its certificate.
    [Parameter(Mandatory)]
    [ValidatePattern('^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$')]
    [string] $Name,

    # Folder of this worker's certificate and key, and the authority's certificate.
    [Parameter(Mandatory)]
    [ValidateScript({ Test-Path -LiteralPath $_ -PathType Container })]
    [string] $Certificate,

    # Of the game: a .toml file, or the name of a profile in the box.
    [Parameter(Mandatory)]
    [ValidatePattern('^[^"`$]+$')]
    [string] $GameProfile,

    # Skygarden's wheel; without it, what the package index has.
    [ValidateScript({ (Test-Path -LiteralPath $_ -PathType Leaf) -and ($_ -like '*.whl') })]
    [string] $Wheel,

    # The ViGEmBus installer, to run where the driver is missing: https://github.com/nefarius/ViGEmBus/releases has it,
    # and vgamepad's source on the package index holds ViGEmBusSetup_x64.msi. An .msi installs without a dialogue.
    [ValidateScript({ (Test-Path -LiteralPath $_ -PathType Leaf) -and ($_ -match '\.(msi|exe)$') })]
    [string] $InstallDriver,

    # Where PyTorch comes from: https://download.pytorch.org/whl/cpu, or one for CUDA.
    [ValidatePattern('^https://[^\s"]+$')]
    [string] $Torch = 'https://download.pytorch.org/whl/cpu',

    # Where the virtual environment, finished episodes and the log go.
    [ValidatePattern('^[^"`$]+$')]
    [string] $Folder = (Join-Path $env:LOCALAPPDATA 'Skygarden')
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Invoke-Checked {
    # Runs a program, and stops the script where it fails: PowerShell by itself would go on.
    param([string] $Program, [string[]] $Arguments)
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { throw "$Program $($Arguments -join ' ') ended with status $LASTEXITCODE" }
}

$port = [int]($Learner -split ':')[-1]
if ($port -gt 65535) { throw "-Learner wants a port of at most 65535, got $port" }

# 1. Python 3.11, in a folder of its own.
if (-not (Get-Command py.exe -ErrorAction SilentlyContinue)) {
    throw 'Python is not here: winget install --id Python.Python.3.11 --exact, then open a new window and run this again'
}
$venv = Join-Path $Folder 'venv'
$python = Join-Path $venv 'Scripts\python.exe'
New-Item -ItemType Directory -Force -Path $Folder, (Join-Path $Folder 'spool') | Out-Null
if (-not (Test-Path -LiteralPath $python)) { Invoke-Checked 'py.exe' @('-3.11', '-m', 'venv', $venv) }

# 2. Skygarden. Left to itself vgamepad would open the driver's installer, and an installation without a desktop hang.
$env:VGAMEPAD_SKIP_VIGEMBUS_INSTALL = 'true'
$what = 'skygarden[window]'
if ($Wheel) { $what = "$((Resolve-Path -LiteralPath $Wheel).Path)[window]" }
Invoke-Checked $python @('-m', 'pip', 'install', '--quiet', '--upgrade', '--extra-index-url', $Torch, $what)

# 3. The driver of the virtual pad.
if (-not (Get-Service -Name ViGEmBus -ErrorAction SilentlyContinue)) {
    if (-not $InstallDriver) {
        throw 'The ViGEmBus driver is not here: download its installer and give it as -InstallDriver FILE'
    }
    $program = (Resolve-Path -LiteralPath $InstallDriver).Path
    if ($program -like '*.msi') {
        $msi = @('/i', "`"$program`"", '/qn', '/norestart')
        $installer = Start-Process -FilePath 'msiexec.exe' -ArgumentList $msi -Verb RunAs -Wait -PassThru
    }
    else {
        $installer = Start-Process -FilePath $program -Verb RunAs -Wait -PassThru # shows its dialogue
    }
    if ($installer.ExitCode -notin 0, 3010) { throw "the ViGEmBus installer ended with status $($installer.ExitCode)" }
    if ($installer.ExitCode -eq 3010) { Write-Warning 'Restart Windows before the first episode: the driver wants it.' }
}

# 4. The certificate: for this user's eyes alone.
$certificateFolder = (Resolve-Path -LiteralPath $Certificate).Path
Invoke-Checked 'icacls.exe' @($certificateFolder, '/inheritance:r', '/grant:r', "$($env:USERNAME):(OI)(CI)R", '/T', '/Q')

# 5. The task. A worker waits by itself for a learner that is away; one that has ended, or failed, is started again within
# five minutes, as Windows itself restarts only what it could not start. The spool keeps what was played.
$arguments = @(
    '-m', 'skygarden', 'worker',
    '--learner', $Learner,
    '--name', $Name,
    '--certificate', "`"$certificateFolder`"",
    '--spool', "`"$(Join-Path $Folder 'spool')`"",
    '--backend', 'window',
    '--profile', "`"$GameProfile`""
) -join ' '
$task = @{
    TaskName    = "Skygarden worker $Name"
    Description = "Plays for the learner at $Learner"
    Action      = New-ScheduledTaskAction -Execute $python -Argument $arguments -WorkingDirectory $Folder
    Trigger     = @(
        (New-ScheduledTaskTrigger -AtLogOn -User $env:USERNAME),
        (New-ScheduledTaskTrigger -Once -At (Get-Date) -RepetitionInterval (New-TimeSpan -Minutes 5))
    )
    Principal   = New-ScheduledTaskPrincipal -UserId $env:USERNAME -LogonType Interactive -RunLevel Limited
    Settings    = New-ScheduledTaskSettingsSet -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1) `
        -ExecutionTimeLimit ([TimeSpan]::Zero) -MultipleInstances IgnoreNew -AllowStartIfOnBatteries `
        -DontStopIfGoingOnBatteries
}
if ($PSCmdlet.ShouldProcess($task.TaskName, 'register and start')) {
    Register-ScheduledTask @task -Force | Out-Null
    Start-ScheduledTask -TaskName $task.TaskName
    Write-Output "$($task.TaskName) runs, and will at each logon. To end it: Unregister-ScheduledTask '$($task.TaskName)'"
}
