output "public_ip" {
  description = "What the name in DNS has to lead to, and the first part of public_ip."
  value       = aws_eip.server.public_ip
}

output "private_ip" {
  description = "The second part of public_ip: PUBLIC/PRIVATE."
  value       = aws_instance.server.private_ip
}

output "github_variables" {
  description = "The variables of the environment on GitHub."
  value = {
    DEPLOY_BUCKET   = aws_s3_bucket.releases.id
    DEPLOY_INSTANCE = aws_instance.server.id
    DEPLOY_REGION   = var.region
    DEPLOY_ROLE     = aws_iam_role.workflow.arn
  }
}
