data "aws_caller_identity" "here" {}

# --- the machine: it reads releases, and does what Systems Manager says ---------------------

data "aws_iam_policy_document" "machine" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "read_releases" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.releases.arn}/tornado-webrtc-v*"]
  }
}

resource "aws_iam_role" "machine" {
  name               = "tornado-webrtc-machine-${var.environment}"
  assume_role_policy = data.aws_iam_policy_document.machine.json
}

resource "aws_iam_role_policy" "read_releases" {
  name   = "read-releases"
  role   = aws_iam_role.machine.id
  policy = data.aws_iam_policy_document.read_releases.json
}

# It also lets the machine read every parameter of Parameter Store in this account and region.
# Where there are any that are none of its business, take a policy of your own instead, with
# what the agent needs: ssm:UpdateInstanceInformation, ssmmessages:* and ec2messages:*.
resource "aws_iam_role_policy_attachment" "systems_manager" {
  role       = aws_iam_role.machine.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "server" {
  name = "tornado-webrtc-machine-${var.environment}"
  role = aws_iam_role.machine.name
}

# --- the workflow: it uploads a release, and tells this one machine to deploy it ------------

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_provider ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

locals {
  account = data.aws_caller_identity.here.account_id
  issuer  = "token.actions.githubusercontent.com"
}

data "aws_iam_policy_document" "workflow" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["arn:aws:iam::${local.account}:oidc-provider/${local.issuer}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    # Only a job that was let into the environment has this subject.
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = ["repo:${var.repository}:environment:${var.environment}"]
    }
  }
}

data "aws_iam_policy_document" "deploy" {
  statement {
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.releases.arn}/tornado-webrtc-v*"]
  }

  statement {
    actions = ["ssm:SendCommand"]
    resources = [
      aws_instance.server.arn,
      "arn:aws:ssm:${var.region}::document/AWS-RunShellScript",
    ]
  }

  # What has become of a command is asked by the command's id; there is nothing to narrow.
  statement {
    actions   = ["ssm:GetCommandInvocation"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "workflow" {
  name                 = "tornado-webrtc-deploy-${var.environment}"
  assume_role_policy   = data.aws_iam_policy_document.workflow.json
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.workflow.id
  policy = data.aws_iam_policy_document.deploy.json
}
